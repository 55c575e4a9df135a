"""Other formats: ONNX graphs that trace the very nets, blended and compressed official files."""
