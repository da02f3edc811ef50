"""From an approved claim to serial numbers: the request, the registry's answer, and the checks between the two.

`issuance` is the request and its checks, `serial` the numbers, `enquiry` the question of double registration; `http` speaks to the registry,
`timescale` to the database, `app` joins them. The registry's side of the contract is `registry.openapi.json`.
"""
