"""Content encoders: what is said, without who says it. Frozen nets that read the official files."""
