"""retail_ray: multi-camera retail video analytics on Ray."""
