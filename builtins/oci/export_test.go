package oci

import "net"

// WithResolver replaces DNS.
func WithResolver(r *net.Resolver) Option {
	return func(o *options) error { o.guard.Resolver = r; return nil }
}
