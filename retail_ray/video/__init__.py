"""From a camera address to sampled native frames and letterboxed model input."""
