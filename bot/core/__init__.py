"""The pure centre: what a request is, which facts change it, and who may cause them.

Standard library only. No await, no clock, no environment: time and people are arguments.
"""
