"""
The models that can be asked for, and the check of their input.

Enters: a model's name and the input that a user gives. Leaves: the input as it
is sent, with its price range, or every field error at once. May import: model,
errors, media (what an image is).
"""

from __future__ import annotations
