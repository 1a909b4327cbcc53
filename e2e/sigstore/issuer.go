package sigstore

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jwt"
)

// audience is the client that the tokens are for. It is cosign's own.
const audience = "sigstore"

// Issuer is one of OpenID Connect: its keys can be discovered, and it asks nobody who they are.
type Issuer struct {
	// URL is the issuer's name, too: it stands in certificates.
	URL string

	server *http.Server
	key    jwk.Key
}

// newIssuer serves one at an address.
func newIssuer(host string) (*Issuer, error) {
	private, err := rsa.GenerateKey(rand.Reader, 2048) // cosign takes tokens of RS256 only
	if err != nil {
		return nil, err
	}
	key, err := jwk.Import(private)
	if err != nil {
		return nil, err
	}
	if err := jwk.AssignKeyID(key); err != nil {
		return nil, err
	}
	if err := key.Set(jwk.AlgorithmKey, jwa.RS256()); err != nil {
		return nil, err
	}
	public, err := key.PublicKey()
	if err != nil {
		return nil, err
	}
	keys := jwk.NewSet()
	if err := keys.AddKey(public); err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return nil, err
	}
	i := &Issuer{URL: "http://" + listener.Addr().String(), key: key}
	answer := func(value any) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(value)
		}
	}
	mux := http.NewServeMux()
	mux.Handle("GET /keys", answer(keys))
	// OpenID Connect Discovery 1.0, section 4.2: what has to be there, and is read.
	mux.Handle("GET /.well-known/openid-configuration", answer(map[string]any{
		"issuer": i.URL, "jwks_uri": i.URL + "/keys",
		"authorization_endpoint": i.URL + "/authorize", "token_endpoint": i.URL + "/token",
		"response_types_supported": []string{"id_token"}, "subject_types_supported": []string{"public"},
		"id_token_signing_alg_values_supported": []string{"RS256"},
	}))
	i.server = &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	go func() { _ = i.server.Serve(listener) }()
	return i, nil
}

func (i *Issuer) close() { _ = i.server.Close() }

// Token says that its bearer is who has that address of email.
func (i *Issuer) Token(email string) (string, error) {
	token, err := jwt.NewBuilder().
		Issuer(i.URL).Audience([]string{audience}).Subject(email).
		IssuedAt(time.Now()).Expiration(time.Now().Add(time.Hour)).
		Claim("email", email).Claim("email_verified", true).Build()
	if err != nil {
		return "", fmt.Errorf("token for %s: %w", email, err)
	}
	signed, err := jwt.Sign(token, jwt.WithKey(jwa.RS256(), i.key))
	return string(signed), err
}
