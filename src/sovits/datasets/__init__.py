"""Features of recordings -> training items and batches."""
