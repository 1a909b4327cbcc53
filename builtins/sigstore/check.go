package sigstore

import (
	"crypto/x509"
	"errors"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/sigstore/cosign/v2/pkg/cosign"
	"github.com/sigstore/sigstore-go/pkg/fulcio/certificate"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore/pkg/signature"

	"github.com/assay-dev/assay/builtins/sigstore/trust"
	"github.com/assay-dev/assay/rego/cip"
)

// MaxSignatures bounds how many signatures or attestations of an image are
// tried for one authority. One verification costs about 2 ms of CPU, and
// whoever may push to the repository chooses how many there are.
const MaxSignatures = 50

// Demand is what an authority asks of evidence. The zero value asks for
// everything: log, SCT and, for a certificate, a time that somebody vouched for.
type Demand struct {
	// NoLog admits evidence without an entry in a transparency log.
	NoLog bool
	// NoSCT admits certificates without a signed certificate timestamp.
	NoSCT bool
	// Timestamp demands an RFC 3161 timestamp of a trusted authority.
	Timestamp bool
}

// weaker lists what a verdict under this demand does without, compared with
// keyless + log + SCT.
func (d Demand) weaker(keyless bool) []string {
	var out []string
	if !keyless {
		out = append(out, "key instead of an identity")
	}
	if d.NoLog {
		out = append(out, "transparency log not checked")
	}
	if keyless && d.NoSCT {
		out = append(out, "certificate transparency (SCT) not checked")
	}
	return out
}

// Options are the settings of an installation that change what a check accepts.
type Options struct {
	// AnchoredIdentities makes identity expressions match the whole value.
	// Upstream matches any part of it, so that is the default (KLS-3).
	AnchoredIdentities bool
	// Now is the time of the decision. It decides about certificates only where
	// neither log nor timestamp vouches for a time. Required.
	Now time.Time
}

// Check is one authority made ready: what it demands, whom it accepts and what
// it trusts. It is immutable and safe for concurrent use.
type Check struct {
	demand     Demand
	format     cip.SignatureFormat
	identities []cosign.Identity
	extensions certificate.Extensions
	key        signature.Verifier
	keyLeaf    *x509.Certificate // introduces the key, nil for a bare one
	ca         *trust.PrivateCA  // of the policy itself, nil without ca-cert
	trust      *composed
	hash       string
	now        time.Time
}

// TrustHash names the content of everything the check trusts beside the
// authority itself.
func (c *Check) TrustHash() string { return c.hash }

// NewCheck decides what an authority demands. It is the one place where an
// absent field of a policy gets its meaning:
//
//	authority              log                    SCT       timestamp
//	keyless                required               required  –          KLS-7
//	keyless, ctlog         required               required  –          TLOG-1, TLOG-2
//	keyless, trustRootRef  not checked, so the    required  –          KLS-8
//	                       certificate must be
//	                       valid now
//	keyless, timestamp     only with ctlog        required  required   TSA-1, TSA-2
//	keyless, ca-cert       as without ca-cert     required  as above   KLS-2
//	key                    not checked            –         –          KEY-5
//	key, ctlog             required               –         –          KEY-6
//	key, timestamp         only with ctlog        –         required   TSA-1
//	insecureIgnoreSCT      as above               not       as above   KLS-6
//
// A ca-cert replaces the certificate authorities, and nothing else: trustRootRef
// beside it names the certificate logs (none is needed with insecureIgnoreSCT), and
// identities are matched as ever.
//
// A key that is written as a certificate is that key for as long as the certificate
// is valid: at every time that was vouched for, and else now.
//
// A ctlog with neither url nor trustRootRef is no ctlog (KEY-5). Where upstream
// lets a missing timestamp pass or drops a ctlog that stands beside a timestamp
// (TSA-1, TSA-2), what the policy names is demanded here.
func NewCheck(a cip.Authority, roots trust.Roots, options Options) (*Check, *Refusal) {
	if options.Now.IsZero() {
		return nil, refuse(Unsupported, "a check needs the time of the decision")
	}
	switch a.SignatureFormat {
	case "", cip.FormatLegacy, cip.FormatBundle, cip.FormatAny:
	default:
		return nil, refuse(Unsupported, "signatureFormat: got %q", a.SignatureFormat)
	}
	c := &Check{demand: demandOf(a), format: a.SignatureFormat, now: options.Now, trust: &composed{}}
	if refusal := c.accept(a, options); refusal != nil {
		return nil, refusal
	}
	if refusal := c.trustOf(a, roots); refusal != nil {
		return nil, refusal
	}
	return c, nil
}

func demandOf(a cip.Authority) Demand {
	ctlog := a.CTLog != nil && (a.CTLog.URL != "" || a.CTLog.TrustRootRef != "")
	d := Demand{Timestamp: a.RFC3161Timestamp != nil && a.RFC3161Timestamp.TrustRootRef != ""}
	if a.Keyless == nil {
		d.NoSCT = true // a key has no certificate to be logged
		d.NoLog = !ctlog
		return d
	}
	d.NoSCT = a.Keyless.InsecureIgnoreSCT != nil && *a.Keyless.InsecureIgnoreSCT
	d.NoLog = !ctlog && (a.Keyless.TrustRootRef != "" || d.Timestamp)
	return d
}

// accept takes over whom the authority accepts: identities or one public key.
func (c *Check) accept(a cip.Authority, options Options) *Refusal {
	switch {
	case a.Keyless != nil && a.Key != nil:
		return refuse(Unsupported, "authority %s has both a key and identities", a.Name)
	case a.Keyless != nil:
		// cosign takes an empty list for "anybody" (proven): never hand it one.
		if len(a.Keyless.Identities) == 0 {
			return refuse(Unsupported, "authority %s names no identities", a.Name)
		}
		for i, identity := range a.Keyless.Identities {
			if err := c.addIdentity(identity, options.AnchoredIdentities); err != nil {
				return refuse(Unsupported, "keyless.identities[%d]: %v", i, err)
			}
		}
		return c.privateCA(a)
	case a.Key != nil && a.Key.Data != "":
		key, leaf, err := publicKey(a.Key.Data, a.Key.HashAlgorithm)
		if err != nil {
			return refuse(Unsupported, "key.data: %v", err)
		}
		c.key, c.keyLeaf = key, leaf
		c.trust.key = root.NewExpiringKey(key, time.Time{}, time.Time{})
		return nil
	case a.Key != nil:
		return refuse(Unsupported, "there are no public keys for authority %s", a.Name)
	}
	return refuse(Unsupported, "authority has neither key, keyless, or static specified")
}

func (c *Check) addIdentity(identity cip.Identity, anchored bool) error {
	if (identity.Issuer == "") == (identity.IssuerRegExp == "") {
		return errors.New("expected exactly one of issuer and issuerRegExp")
	}
	if (identity.Subject == "") == (identity.SubjectRegExp == "") {
		return errors.New("expected exactly one of subject and subjectRegExp")
	}
	out := cosign.Identity{Issuer: identity.Issuer, Subject: identity.Subject}
	var err error
	if out.IssuerRegExp, err = expression(identity.IssuerRegExp, anchored); err != nil {
		return err
	}
	if out.SubjectRegExp, err = expression(identity.SubjectRegExp, anchored); err != nil {
		return err
	}
	c.identities = append(c.identities, out)
	return nil
}

// expression anchors an identity expression if asked to. It has to compile by
// itself: "a)|(b" would only do so between the anchors, and undo them.
func expression(text string, anchored bool) (string, error) {
	if _, err := regexp.Compile(text); err != nil {
		return "", err
	}
	if text == "" || !anchored {
		return text, nil
	}
	out := `\A(?:` + text + `)\z`
	_, err := regexp.Compile(out)
	return out, err
}

// needs are the roots that a check is put together of: by part the trustRootRef,
// nil where that part is not needed.
type needs struct{ certificates, log, timestamps *string }

func needsOf(a cip.Authority) (out needs) {
	d := demandOf(a)
	// With a ca-cert only the certificate logs are of the root.
	if k := a.Keyless; k != nil && (k.CACert == nil || !d.NoSCT || k.TrustRootRef != "") {
		out.certificates = &k.TrustRootRef
	}
	if !d.NoLog {
		out.log = new(string)
		if a.CTLog != nil {
			out.log = &a.CTLog.TrustRootRef
		}
	}
	if d.Timestamp {
		out.timestamps = &a.RFC3161Timestamp.TrustRootRef
	}
	return out
}

// TrustRootRefs names the roots that an authority relies on. The empty name is the
// default root.
func TrustRootRefs(a cip.Authority) (out []string) {
	all := needsOf(a)
	for _, ref := range []*string{all.certificates, all.log, all.timestamps} {
		if ref != nil && !slices.Contains(out, *ref) {
			out = append(out, *ref)
		}
	}
	return out
}

// trustOf puts together the roots that the authority names. A root that is
// needed and missing refuses; one that is not needed is not looked for.
func (c *Check) trustOf(a cip.Authority, roots trust.Roots) *Refusal {
	var hashes []string
	var err error
	take := func(ref *string) *trust.Root {
		if ref == nil || err != nil {
			return nil
		}
		var r *trust.Root
		if r, err = roots.Lookup(*ref); r != nil {
			hashes = append(hashes, r.Hash())
		}
		return r
	}
	all := needsOf(a)
	if r := take(all.certificates); r != nil {
		c.trust.certificates = r.Material()
		if c.ca == nil {
			c.trust.authorities = r.Authorities()
		}
	}
	if r := take(all.log); r != nil {
		c.trust.log = r.Material()
	}
	if r := take(all.timestamps); r != nil {
		c.trust.timestamps = r.Material()
	}
	if err != nil {
		return refuse(UntrustedRoot, "%v", err)
	}
	// Rekor v2 entries carry no time: the timestamp beside them counts where the
	// root of the certificates, or with a ca-cert that of the log, knows its authority.
	if a.Keyless != nil && !c.demand.NoLog && all.timestamps == nil {
		c.trust.timestamps = c.trust.certificates
		if c.ca != nil {
			c.trust.timestamps = c.trust.log
		}
	}
	c.hash = strings.Join(hashes, "+")
	return nil
}
