"""The tour as pages: each text with its program, and its recording to step through.

python3 -m docs.tour.site        or: make tour
"""
