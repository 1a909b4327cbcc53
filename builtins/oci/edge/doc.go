// Package edge is where package oci meets the network: which addresses are dialled ([Guard]), how hosts are spelled
// ([CanonicalHost]), what a connection may answer before anybody is authenticated ([Session]), and the one kind of
// [Error] for all that goes wrong there.
//
// [Guarded] gives others the same way out: a transport that no name, redirect or proxy leads around the guard.
package edge
