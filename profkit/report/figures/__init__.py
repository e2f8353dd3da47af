"""Pictures as SVG that is drawn here: the same on every machine, without a script or a browser."""
