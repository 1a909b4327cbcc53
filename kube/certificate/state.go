package certificate

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// The keys of the Secret.
const (
	authoritiesKey  = "ca.crt" // those that are trusted, the newest last
	signingKey      = "ca.key" // the keys of those that may sign yet
	certificateKey  = "tls.crt"
	certificatesKey = "tls.key"
)

// mostAuthorities bounds what somebody may have put into ca.crt: of ours there are two.
const mostAuthorities = 16

// manager prefixes the annotations of what cert-manager looks after.
const manager = "cert-manager.io/"

var (
	errManaged = errors.New("got annotations of cert-manager, want it to be left to one of us: give the certificate as files")
	errEmpty   = errors.New("holds no certificate yet")
)

// authority is a CA.
type authority struct {
	certificate *x509.Certificate
	key         crypto.Signer // nil if it signs no more
}

// state is what a Secret holds: a leaf that one of the authorities signed, for our names.
type state struct {
	authorities []authority
	leaf        *tls.Certificate
	issuer      int // of leaf, among authorities
}

func (s *state) newest() int { return len(s.authorities) - 1 }

// bundle is what API servers have to trust.
func (s *state) bundle() []byte {
	var out []byte
	for _, a := range s.authorities {
		out = append(out, encode("CERTIFICATE", a.certificate.Raw)...)
	}
	return out
}

// data is what the Secret is to hold.
func (s *state) data() (map[string]any, error) {
	var keys []byte
	for _, a := range s.authorities {
		if a.key == nil {
			continue
		}
		der, err := x509.MarshalPKCS8PrivateKey(a.key)
		if err != nil {
			return nil, err
		}
		keys = append(keys, encode("PRIVATE KEY", der)...)
	}
	der, err := x509.MarshalPKCS8PrivateKey(s.leaf.PrivateKey)
	if err != nil {
		return nil, err
	}
	var chain []byte
	for _, certificate := range s.leaf.Certificate {
		chain = append(chain, encode("CERTIFICATE", certificate)...)
	}
	out := map[string]any{}
	for key, value := range map[string][]byte{
		authoritiesKey: s.bundle(), signingKey: keys, certificateKey: chain, certificatesKey: encode("PRIVATE KEY", der),
	} {
		out[key] = base64.StdEncoding.EncodeToString(value)
	}
	return out, nil
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// read reads a Secret. That it holds none of the keys is [errEmpty], whatever else it
// holds; anything but a state for that name is another error, without what is in it. When
// certificates expire is not asked here: they are renewed.
func read(secret *unstructured.Unstructured, name string) (*state, error) {
	if managed(secret) {
		return nil, errManaged
	}
	held := map[string][]byte{}
	for _, key := range []string{authoritiesKey, signingKey, certificateKey, certificatesKey} {
		text, _, err := unstructured.NestedString(secret.Object, "data", key)
		if err != nil {
			return nil, fmt.Errorf("%s: got another type, want a string", key)
		}
		value, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return nil, fmt.Errorf("%s: got no base64", key)
		}
		if len(value) > 0 {
			held[key] = value
		}
	}
	if len(held) == 0 {
		return nil, errEmpty
	}
	authorities, err := readAuthorities(held[authoritiesKey])
	if err != nil {
		return nil, fmt.Errorf("%s: %w", authoritiesKey, err)
	}
	if err := readKeys(held[signingKey], authorities); err != nil {
		return nil, fmt.Errorf("%s: %w", signingKey, err)
	}
	return readLeaf(&state{authorities: authorities}, held[certificateKey], held[certificatesKey], name)
}

// managed says whether an object is cert-manager's.
func managed(object *unstructured.Unstructured) bool {
	for name := range object.GetAnnotations() {
		if strings.HasPrefix(name, manager) {
			return true
		}
	}
	return false
}

// readAuthorities reads CAs in PEM.
func readAuthorities(text []byte) ([]authority, error) {
	var out []authority
	for i, der := range blocks(text) {
		certificate, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", i, err)
		}
		if !certificate.BasicConstraintsValid || !certificate.IsCA {
			return nil, fmt.Errorf("certificate %d: got one that is no CA", i)
		}
		out = append(out, authority{certificate: certificate})
	}
	if len(out) == 0 || len(out) > mostAuthorities {
		return nil, fmt.Errorf("got %d certificates in PEM, want 1 to %d", len(out), mostAuthorities)
	}
	return out, nil
}

// readKeys gives each authority the key that fits it. The last one needs one.
func readKeys(text []byte, authorities []authority) error {
	for _, der := range blocks(text) {
		key, err := readKey(der)
		if err != nil {
			return err
		}
		public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
		for i := range authorities {
			if ok && public.Equal(authorities[i].certificate.PublicKey) {
				authorities[i].key = key
			}
		}
	}
	if authorities[len(authorities)-1].key == nil {
		return fmt.Errorf("got no key that fits the last certificate of %s", authoritiesKey)
	}
	return nil
}

// readKey reads a key, and says nothing about what it read instead.
func readKey(der []byte) (crypto.Signer, error) {
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		if key, err = x509.ParseECPrivateKey(der); err != nil {
			return nil, errors.New("got no private key in PKCS 8 or SEC 1")
		}
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("got a key of type %T, want one that signs", key)
	}
	return signer, nil
}

// blocks are the contents of PEM, without what stands between.
func blocks(text []byte) [][]byte {
	var out [][]byte
	for len(out) <= mostAuthorities {
		block, rest := pem.Decode(text)
		if block == nil {
			break
		}
		out, text = append(out, block.Bytes), rest
	}
	return out
}

func readLeaf(s *state, certificate, key []byte, name string) (*state, error) {
	if len(certificate) == 0 || len(key) == 0 {
		return nil, fmt.Errorf("got %d bytes of %s and %d of %s, want both", len(certificate), certificateKey, len(key), certificatesKey)
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return nil, fmt.Errorf("%s with %s: %w", certificateKey, certificatesKey, err)
	}
	if err := pair.Leaf.VerifyHostname(name); err != nil {
		return nil, fmt.Errorf("%s: %w", certificateKey, err)
	}
	// The newest first: of two with one key it is the one that stays.
	for i := range slices.Backward(s.authorities) {
		if err = pair.Leaf.CheckSignatureFrom(s.authorities[i].certificate); err == nil {
			s.issuer, s.leaf = i, &pair
			return s, nil
		}
	}
	return nil, fmt.Errorf("%s: got one that no CA of %s signed: %w", certificateKey, authoritiesKey, err)
}

// sameLeaf says whether two states serve the same.
func sameLeaf(a, b *state) bool {
	return a != nil && b != nil && slices.EqualFunc(a.leaf.Certificate, b.leaf.Certificate, bytes.Equal)
}
