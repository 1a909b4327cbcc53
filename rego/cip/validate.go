package cip

import (
	"cmp"
	"fmt"
	"net/url"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
)

// This file holds what policy-controller says about a ClusterImagePolicy, text
// for text and path for path, oddities included ("secretref", attestations
// without an index). Checks of our own are marked.

const (
	defaultFulcio = "https://fulcio.sigstore.dev"
	// systemNamespace is where policy-controller's manifests install it. Its
	// webhook compares with its own namespace, its tester with this one.
	systemNamespace = "cosign-system"
)

// setDefaults fills in what policy-controller's defaulting webhook would.
func (s *Spec) setDefaults() {
	s.Mode = cmp.Or(s.Mode, ModeEnforce)
	for i := range s.Authorities {
		a := &s.Authorities[i]
		a.Name = cmp.Or(a.Name, fmt.Sprintf("authority-%d", i))
		if k := a.Keyless; k != nil && a.Key == nil && a.Static == nil && k.CACert == nil && k.URL == "" {
			k.URL = defaultFulcio
		}
	}
}

// normalize leaves one spelling where validation accepts several.
func (s *Spec) normalize() {
	for _, a := range s.Authorities {
		if a.Key != nil {
			a.Key.HashAlgorithm = strings.ToLower(a.Key.HashAlgorithm)
		}
		if a.Keyless != nil && a.Keyless.CACert != nil {
			a.Keyless.CACert.HashAlgorithm = strings.ToLower(a.Keyless.CACert.HashAlgorithm)
		}
	}
}

// schemaErrors returns what an API server says before any webhook is asked. Of
// the schema only this much is not said by validation as well.
func schemaErrors(s *Spec) []string {
	var errs []string
	for i, a := range s.Authorities {
		if a.Keyless != nil && a.Keyless.Identities == nil {
			path := at("spec.authorities", i) + ".keyless.identities"
			errs = append(errs, path+`: Invalid value: "null": `+path+` in body must be of type array: "null"`)
		}
	}
	return errs
}

// validation collects errors; its methods never stop at the first.
type validation struct {
	settings     Settings
	owner        string // the namespace of an ImagePolicy
	errs         FieldErrors
	instructions int // of all expressions
}

func (v *validation) add(message, details string, paths ...string) {
	v.errs = append(v.errs, FieldError{Message: message, Details: details, Paths: paths})
}

func (v *validation) warn(value, path, details string) {
	v.errs = append(v.errs, FieldError{
		Level: WarningLevel, Message: "invalid value: " + excerpt(value), Details: details, Paths: []string{path},
	})
}

func (v *validation) missing(paths ...string) { v.add("missing field(s)", "", paths...) }
func (v *validation) invalid(value, path, details string) {
	v.add("invalid value: "+excerpt(value), excerpt(details), path)
}

// exactlyOne expects one of the fields of an object, of which set are there.
func (v *validation) exactlyOne(set int, paths ...string) {
	switch {
	case set == 0:
		v.add("expected exactly one, got neither", "", paths...)
	case set > 1:
		v.add("expected exactly one, got both", "", paths...)
	}
}

// count returns how many are true.
func count(conditions ...bool) int {
	n := 0
	for _, condition := range conditions {
		if condition {
			n++
		}
	}
	return n
}

func (v *validation) spec(s *Spec) {
	if len(s.Images) == 0 {
		v.missing("spec.images")
	}
	if !v.most("images", len(s.Images), v.limits().images, "spec.images") {
		for i, image := range s.Images {
			v.glob(at("spec.images", i)+".glob", image.Glob)
		}
	}
	if len(s.Authorities) == 0 && !v.settings.EmptyAuthorities {
		v.missing("spec.authorities")
	}
	v.authorities(s)
	if s.Mode != ModeEnforce && s.Mode != ModeWarn {
		v.invalid(string(s.Mode), "spec.mode", "unsupported mode")
	}
	if !v.most("entries", len(s.Match), v.limits().match, "spec.match") {
		for i, match := range s.Match {
			v.match(at("spec.match", i), match)
		}
	}
	if s.Policy != nil {
		v.policy("spec.policy", s.Policy)
	}
}

func (v *validation) authorities(s *Spec) {
	if v.most("authorities", len(s.Authorities), v.limits().authorities, "spec.authorities") {
		return
	}
	seen := map[string]bool{}
	for i := range s.Authorities {
		path, label := at("spec.authorities", i), s.Authorities[i].Name
		if seen[label] { // ours
			v.warn(label, path+".name", "duplicate authority name, policies see only one authority of a name")
		}
		seen[label] = true
		v.authority(path, &s.Authorities[i])
	}
}

func (v *validation) glob(path, glob string) {
	if glob == "" {
		v.missing(path)
		return
	}
	if _, err := ParseGlob(glob); err != nil {
		v.invalid(glob, path, fmt.Sprintf("glob is invalid: %v", err))
	}
}

func (v *validation) authority(path string, a *Authority) {
	kinds := count(a.Key != nil, a.Keyless != nil, a.Static != nil)
	if v.exactlyOne(kinds, path+".key", path+".keyless", path+".static"); kinds != 1 {
		return // upstream stops here too: what else is wrong depends on the kind
	}
	switch {
	case a.Key != nil:
		v.key(path+".key", a.Key)
	case a.Keyless != nil:
		v.keyless(path+".keyless", a.Keyless)
	default:
		v.static(path, a)
	}
	if len(a.Sources) > 1 {
		v.invalid("source", path+".source", "only single source is supported")
	}
	for i, source := range a.Sources {
		v.source(at(path+".source", i), source)
	}
	v.attestations(path+".attestations", a.Attestations)
	switch a.SignatureFormat { // ours
	case "", FormatLegacy, FormatBundle, FormatAny:
	default:
		v.invalid(string(a.SignatureFormat), path+".signatureFormat", "only [legacy,bundle,any] are supported")
	}
}

func (v *validation) static(path string, a *Authority) {
	switch a.Static.Action {
	case "pass", "fail":
	case "":
		v.missing(path + ".static.action")
	default:
		v.invalid(a.Static.Action, path+".static.action", "unsupported action")
	}
	for field, set := range map[string]bool{
		"attestations": len(a.Attestations) > 0, "source": len(a.Sources) > 0,
		"ctlog": a.CTLog != nil, "rfc3161timestamp": a.RFC3161Timestamp != nil,
	} {
		if set {
			v.exactlyOne(2, path+".static", path+"."+field)
		}
	}
}

func (v *validation) keyless(path string, k *KeylessRef) {
	v.exactlyOne(count(k.URL != "", k.CACert != nil), path+".url", path+".ca-cert")
	if k.CACert != nil {
		v.key(path+".ca-cert", k.CACert)
	}
	if len(k.Identities) == 0 {
		v.missing(path + ".identities")
	}
	if v.most("identities", len(k.Identities), v.limits().identities, path+".identities") {
		return
	}
	for i, identity := range k.Identities {
		path := at(path+".identities", i)
		v.identity(path+".issuer", identity.Issuer, identity.IssuerRegExp)
		v.identity(path+".subject", identity.Subject, identity.SubjectRegExp)
	}
}

// identity checks one half of an identity: a text or an expression, whose field
// has the same name with RegExp behind.
func (v *validation) identity(path, text, expression string) {
	switch {
	case text == "" && expression == "":
		v.missing(path, path+"RegExp")
	case text != "" && expression != "":
		v.exactlyOne(2, path, path+"RegExp")
	}
	v.expression(expression, path+"RegExp")
}

func (v *validation) source(path string, s Source) {
	if s.OCI != "" {
		if err := checkRepository(s.OCI); err != nil {
			v.invalid(s.OCI, path+".oci", err.Error())
		}
	}
	for i, secret := range s.SignaturePullSecrets {
		if secret.Name == "" {
			v.missing(at(path+".signaturePullSecrets", i) + ".name")
		}
	}
}

// checkRepository takes a text for a repository where its first part looks like
// a host, and for a registry otherwise.
func checkRepository(oci string) error {
	if host, _, found := strings.Cut(oci, "/"); found && strings.ContainsAny(host, ".:") {
		_, err := name.NewRepository(oci, name.StrictValidation)
		return err
	}
	_, err := name.NewRegistry(oci, name.StrictValidation)
	return err
}

func (v *validation) attestations(path string, attestations []Attestation) {
	if v.most("attestations", len(attestations), v.limits().attestations, path) {
		return
	}
	seen := map[string]bool{}
	for _, a := range attestations {
		if a.Name == "" {
			v.missing(path + ".name")
		} else if seen[a.Name] { // ours
			v.warn(a.Name, path+".name", "duplicate attestation name, policies see only one attestation of a name")
		}
		seen[a.Name] = true
		if a.PredicateType == "" {
			v.missing(path + ".predicateType")
		} else if u, err := url.Parse(a.PredicateType); err != nil || u.Scheme == "" {
			v.warn(a.PredicateType, path+".predicateType", "deprecated value, please use RFC 3986 conformant values")
		}
		if a.Policy != nil {
			v.policy(path+".policy", a.Policy)
			v.noIncludes(path+".policy", a.Policy)
		}
	}
}

func (v *validation) policy(path string, p *PolicyRef) {
	if p.Type != "cue" && p.Type != "rego" {
		v.invalid(p.Type, path+".type", "only [cue,rego] are supported at the moment")
	}
	sources := []string{path + ".configMapRef", path + ".data", path + ".remote"}
	switch set := count(p.Data != "", p.Remote != nil, p.ConfigMapRef != nil); set {
	case 0:
		v.missing(sources...)
	default:
		v.exactlyOne(set, sources...)
	}
	if r := p.Remote; r != nil {
		v.remote(path+".remote", r)
	}
	if c := p.ConfigMapRef; c != nil {
		v.required(path+".configMapRef", map[string]string{"name": c.Name, "key": c.Key})
	}
}

func (v *validation) remote(path string, r *RemotePolicy) {
	v.required(path, map[string]string{"url": string(r.URL), "sha256sum": r.Sha256sum})
	u, err := url.Parse(string(r.URL))
	if r.URL != "" && (err != nil || u.Scheme != "https" || u.Host == "") {
		v.invalid(string(r.URL), path+".url", "url valid is invalid. host and https scheme are expected")
	}
}

// noIncludes refuses in the policy of an attestation, whose input is the
// statement alone, what adds to the input of the policy of a ClusterImagePolicy.
func (v *validation) noIncludes(path string, p *PolicyRef) {
	for field, value := range map[string]*bool{
		"fetchConfigFile": p.FetchConfigFile, "includeSpec": p.IncludeSpec,
		"includeObjectMeta": p.IncludeObjectMeta, "includeTypeMeta": p.IncludeTypeMeta,
	} {
		if value != nil {
			v.add("must not set the field(s)", "", path+"."+field)
		}
	}
}

// required reports the fields that are empty.
func (v *validation) required(path string, fields map[string]string) {
	for field, value := range fields {
		if value == "" {
			v.missing(path + "." + field)
		}
	}
}
