"""Answers over HTTP, and the page: FastAPI over the lake's named questions and the live state of a running site."""
