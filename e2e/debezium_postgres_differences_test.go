package e2e

// postgresDifferences are those of sources of PostgreSQL.
var postgresDifferences = []debeziumDifference{}
