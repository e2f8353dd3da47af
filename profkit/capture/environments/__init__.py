"""The environments that captures run in: one per PyTorch version, made on demand."""
