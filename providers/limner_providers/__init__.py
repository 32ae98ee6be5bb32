"""Every engine behind one Protocol: request, capabilities and provider types, and the conformance kit."""
