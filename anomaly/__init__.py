"""Is it believable? Detectors over intervals: what they find is a flag, a sentence with numbers that a verifier can check.

A flag of level *hold* takes its interval out of the claim until a person releases it; a *warn* changes nothing and says where to look.
A hold needs energy behind it: what is below the meter's resolution, or costs nothing, is at most a warning.
"""
