"""``nn.Module``s only: no files, no devices, no global state. ``forward`` trains, ``infer`` serves, both on one class."""
