"""Accuracy of the door counts as a person finds it: samples, counting by eye, a report."""
