"""Types, ports, errors and geometry: numpy and the standard library only; everything here is pure."""
