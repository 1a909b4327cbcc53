package cip

import (
	"fmt"
	"strings"
)

// This file holds our warnings about what is valid, and does less than it seems
// to: policy-controller takes it in silence. Each says what to write.

// advice returns one line for each such field of a valid policy, whose name is
// in front.
func (s *Spec) advice(policy string) (lines []string) {
	say := func(path, text string) { lines = append(lines, policy+": "+path+": "+text) }
	for i, a := range s.Authorities {
		a.advice(at("spec.authorities", i), say)
	}
	for i, m := range s.Match {
		m.advice(at("spec.match", i), say)
	}
	return lines
}

func (a *Authority) advice(path string, say func(path, text string)) {
	if t := a.RFC3161Timestamp; t != nil && t.TrustRootRef == "" {
		say(path+".rfc3161timestamp", "names no trustRootRef: timestamps are not checked; "+
			"write the name of a TrustRoot with timestampAuthorities")
	}
	for i := range a.Sources {
		a.Sources[i].advice(at(path+".source", i), a.SignatureFormat, say)
	}
	// Keyless without any trustRootRef has its log checked whatever ctlog says.
	checked := a.Keyless != nil && a.Keyless.TrustRootRef == "" &&
		(a.RFC3161Timestamp == nil || a.RFC3161Timestamp.TrustRootRef == "")
	if l := a.CTLog; l != nil && l.URL == "" && l.TrustRootRef == "" && !checked {
		say(path+".ctlog", "names neither url nor trustRootRef: the transparency log is not checked; "+
			"write trustRootRef with the name of a TrustRoot, or a url for the default root")
	}
}

// advice says what of a place is not where it seems to be.
func (s *Source) advice(path string, format SignatureFormat, say func(path, text string)) {
	if s.TagPrefix != nil && format == FormatBundle {
		say(path+".tagPrefix", "bundles have no tags: it has no effect with signatureFormat bundle; leave it out")
	}
	if s.OCI != "" && !strings.Contains(s.OCI, "/") && strings.ContainsAny(s.OCI, ".:") {
		say(path+".oci", fmt.Sprintf("%s is a registry alone, and with that the repository index.docker.io/library/%s; "+
			"write the repository, as in %s/signatures", s.OCI, s.OCI, s.OCI))
	}
}

// advice says why an entry can never match.
func (m *Match) advice(path string, say func(path, text string)) {
	if m.Resource == "" {
		say(path, `names no resource: it matches nothing; write one such as "pods"`)
	}
	if m.Version == "" {
		say(path, `names no version: it matches nothing; write one such as "v1", or "*" for any`)
	}
	home, known := HomeGroup(m.Resource)
	switch {
	case !known || m.Group == home || strings.Contains(m.Group, "."):
	case m.Group == "core" && home == "":
		say(path, `group "core": it matches nothing; the core group is written ""`)
	default:
		say(path, fmt.Sprintf("group %q: it matches nothing; %s are in group %q", m.Group, m.Resource, home))
	}
}
