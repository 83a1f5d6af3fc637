package server_test

// topologies are the servers that TestOracle asks.
var topologies = []topology{
	{name: "memory", chosen: func(map[string]any) string { return "memory" }},
}
