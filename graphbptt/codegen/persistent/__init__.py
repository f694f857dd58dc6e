"""Scans as one kernel that keeps its weights where its threads are: when, and how."""
