"""Everything that stands outside the system in the demo: homes and their gateways, measured plants, the verification body, the registry.

Imports nothing of the pipeline: what is said over MQTT is written from the wire's page alone. `fleet.build` makes a programme on disk, `gateway.publish` and
`gateway.live` send it until all is settled, `body.secure` signs a statement. By hand: `python -m simulators`.

`sky` and `home` give energies, `replay` measured ones, `household` says who the members are, `fault` and `fault_plan` what is wrong on purpose;
`enrolment` and `registration` write the tables, `folder` is what lies on disk, `wire`, `spool`, `chain`, `line`, `delivery`, `live` what gateways say.
"""
