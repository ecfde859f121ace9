"""Experiments as they are defined, changed, published to gateways and guarded."""
