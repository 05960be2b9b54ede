"""Hours of live input with faults: does the pipeline stay as it was, and do its counters add up?"""
