package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	"github.com/assay-dev/assay/cmd/assay/doctor/cluster"
	"github.com/assay-dev/assay/cmd/assay/doctor/finding"
	"github.com/assay-dev/assay/cmd/assay/doctor/shape"
	"github.com/assay-dev/assay/kube"
)

// overdue is how much is left of a certificate that nobody has renewed in time: it is renewed
// after two thirds of its week, and cert-manager does as much.
const overdue = 24 * time.Hour

// The keys of a Secret with a certificate.
const (
	certificateKey = "tls.crt"
	privateKey     = "tls.key"
)

// mostCertificates bounds what somebody put into a bundle.
const mostCertificates = 100

// served is the certificate that replicas serve.
type served struct {
	object string // where it is
	name   string // by which API servers ask for it
	data   map[string][]byte
}

// certificates looks at what replicas serve and what API servers trust.
func (d *doctor) certificates(ctx context.Context) []finding.Finding {
	name := d.setup.secret
	if !d.setup.known {
		name = "webhook-certs" // that of the manifests
	}
	namespace := d.api.Client.Namespace
	if name == "" {
		return []finding.Finding{finding.NotChecked("certificate", fmt.Errorf("--tls-cert %s is in no Secret: compare it with caBundle yourself", d.setup.flag("tls-cert", "")))}
	}
	s := served{object: "Secret " + namespace + "/" + name, name: d.setup.service() + "." + namespace + ".svc"}
	secret, there, err := cluster.Get[shape.Secret](ctx, d.api, kube.Secrets(), namespace, name)
	switch {
	case err != nil:
		return []finding.Finding{finding.NotChecked(s.object, err)}
	case !there:
		return []finding.Finding{finding.Failed(s.object, restore+", which installs it empty; assay fills it", "got none: no replica has a certificate")}
	}
	s.data = secret.Data
	return judgeCertificate(s, d.hooks, d.now)
}

// renew is how a certificate is made anew.
const renew = "kubectl delete the Secret and " + restore + "; if that does not help, look who holds the Lease assay and what its log says"

// judgeCertificate says whether API servers will believe the certificate.
func judgeCertificate(s served, hooks []hook, now time.Time) (out []finding.Finding) {
	if len(s.data[certificateKey]) == 0 {
		return []finding.Finding{finding.Failed(s.object, "wait for the first leader; then look who holds the Lease assay and what its log says", "%s: got none yet", certificateKey)}
	}
	pair, err := tls.X509KeyPair(s.data[certificateKey], s.data[privateKey])
	if err != nil {
		return []finding.Finding{finding.Failed(s.object, renew, "%v", err)}
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		return []finding.Finding{finding.Failed(s.object, renew, "%s: %v", certificateKey, err)}
	}
	out = append(out, judgeLeaf(s, leaf, now))
	along := x509.NewCertPool()
	for _, der := range pair.Certificate[1:] {
		if certificate, err := x509.ParseCertificate(der); err == nil {
			along.AddCert(certificate)
		}
	}
	for _, h := range hooks {
		out = append(out, judgeBundle(h, leaf, along, s.name, now))
	}
	return out
}

func judgeLeaf(s served, leaf *x509.Certificate, now time.Time) finding.Finding {
	end := leaf.NotAfter.UTC().Format(time.RFC3339)
	switch err := leaf.VerifyHostname(s.name); {
	case err != nil:
		return finding.Failed(s.object, renew, "%s: %v", certificateKey, err)
	case now.After(leaf.NotAfter):
		return finding.Failed(s.object, renew, "%s: it expired %s", certificateKey, end)
	case now.Before(leaf.NotBefore):
		return finding.Failed(s.object, renew, "%s: it is not valid before %s", certificateKey, leaf.NotBefore.UTC().Format(time.RFC3339))
	case leaf.NotAfter.Sub(now) < overdue:
		return finding.Warned(s.object, renew, "%s: nobody renews it, and it expires %s", certificateKey, end)
	}
	return finding.OK(s.object, "it is for %s, until %s", s.name, end)
}

// judgeBundle says whether the API server trusts the certificate by what a webhook says.
func judgeBundle(h hook, leaf *x509.Certificate, along *x509.CertPool, name string, now time.Time) finding.Finding {
	const fix = "look who holds the Lease assay and what its log says: the leader writes caBundle (with cert-manager, its CA injector does)"
	if h.ClientConfig.Service == nil {
		return finding.NotChecked(h.String(), errors.New("clientConfig.url: it asks another place than the Service"))
	}
	if len(h.ClientConfig.CABundle) == 0 {
		return finding.Failed(h.String(), fix, "caBundle: got none: API servers trust no certificate of ours")
	}
	roots, first, err := poolOf(h.ClientConfig.CABundle)
	if err != nil {
		return finding.Failed(h.String(), fix, "caBundle: %v", err)
	}
	if _, err := leaf.Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: along, DNSName: name, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}); err != nil {
		return finding.Failed(h.String(), fix, "caBundle: the certificate that is served does not lead to it: %v", err)
	}
	return finding.OK(h.String(), "caBundle: the certificate that is served leads to it; it expires %s", first.UTC().Format(time.RFC3339))
}

// poolOf reads the CAs of a bundle, and when the first of them expires.
func poolOf(bundle []byte) (pool *x509.CertPool, first time.Time, err error) {
	pool = x509.NewCertPool()
	n := 0
	for block, rest := pem.Decode(bundle); block != nil && n < mostCertificates; block, rest = pem.Decode(rest) {
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, first, fmt.Errorf("certificate %d: %w", n, err)
		}
		if pool.AddCert(certificate); n == 0 || certificate.NotAfter.Before(first) {
			first = certificate.NotAfter
		}
		n++
	}
	if n == 0 {
		return nil, first, errors.New("got no certificate in PEM")
	}
	return pool, first, nil
}
