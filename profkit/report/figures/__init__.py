"""Pictures as plotly figures: plain data, drawn by the page's JavaScript or by kaleido."""
