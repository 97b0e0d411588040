"""Evaluating constructed weights fast, by general rules on the weights.

`order.py` finds equal blocks and folds them into loops; `maps.py` merges heads and MLP
units (a relu pair is linear) and splits the residual stream into spans of rows that
are always used together; `facts.py` follows intervals through the network and proves
rows zero, pairs closed and units linear; `plan.py` puts the three together, token group
by token group; `runner.py` executes the plan.
"""
