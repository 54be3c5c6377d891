"""Answers to the exercises, most of them wrong, with which their checks are tested."""
