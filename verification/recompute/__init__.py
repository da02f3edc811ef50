"""The numbers again, by a second implementation: standard library only, and no code shared with the first.

From the raw messages of a bundle: readings at half-hour edges, what every register of a site shares, member-days, kilograms, whole tonnes. It decides
by itself what was read, which edges registers share, windows, factor steps, fiscal years, battery loss and rounding. It takes on trust, and says so: the
enrolment, the signatures, and which readings the rules disbelieved or held.
"""

from verification.recompute.bundle import BrokenBundleError, read
from verification.recompute.count import Difference, Recount

__all__ = ["BrokenBundleError", "Difference", "Recount", "read"]
