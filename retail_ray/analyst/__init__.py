"""The lake for people who work in Python: answers as DataFrames, pictures, and audits by eye."""
