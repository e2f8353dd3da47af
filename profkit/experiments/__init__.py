"""Experiments: many captures, or many levels of load, that are planned and judged together."""
