// Package trust is whom a verification believes: the certificate authorities, logs
// and timestamp authorities of a trusted_root.json, of a TrustRoot resource or of a
// TUF repository that came along in one, and the private certificate authorities
// that a policy brings itself.
//
// Bytes in, trust out: nothing here opens a socket or reads a file. A repository
// behind a URL is read by package tuf, on its own time, with the functions of this
// package.
//
// What comes from a repository is bounded and verified before it is believed, what
// has expired is no trust, and a root that cannot be made is a cause in [Roots]:
// whoever names it is denied, and nobody else.
package trust
