// Package dev holds the scripts behind the Makefile's targets, and what they promise to a user: run starts a ZooKeeper
// and a broker from a checkout, need installs what a target needs, fuzz runs the fuzz targets.
package dev
