"""Actors, deployments, epochs and the composition root: the only room that knows Ray."""
