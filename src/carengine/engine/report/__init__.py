"""What is said of a run and of rules beside the matches.

``rule_status`` tells of a whole run why a rule did not match, ``explain`` of one event why it does
or does not, ``needs`` what rules need against what logs have, ``profile`` what rules cost,
``examples`` whether rules keep to the examples they carry, ``unrecognised`` what events of no known
shape look like.
"""
