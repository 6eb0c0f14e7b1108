"""
The models that can be asked for, and the check of their input.

Enters: a model's name and a user's input. Leaves: the input as it
is sent, with its price range, or every field error at once. May import: model,
errors, media (for images).
"""

from __future__ import annotations
