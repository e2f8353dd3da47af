"""One operator alone: with the recorded inputs and settings, under the PyTorch of each of two runs, by turns."""
