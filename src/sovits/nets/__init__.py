"""``nn.Module``s only: no files, no devices, no global state. ``forward`` trains, ``infer`` serves, on one class."""
