// Package debezium translates the configuration of a Debezium connector into ours, and says of every property what became of it.
//
// Source: the reference pages of Debezium's PostgreSQL, MySQL and MariaDB connectors, version 3.5.
package debezium
