package edge

import (
	"errors"
	"net/http"
	"testing"
)

type homebound struct{}

func (homebound) Homebound() {}

// TestCredentialsOfACloudStayWithTheirRegistry, whatever leads elsewhere: a token realm, a redirect, a port, a scheme.
func TestCredentialsOfACloudStayWithTheirRegistry(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name        string
		credentials any
		begun       bool
		url         string
		authorized  bool
		want        bool
	}{
		{"the registry", homebound{}, false, "https://r.example/v2/", false, true},
		{"the registry, with credentials", homebound{}, true, "https://r.example/v2/", true, true},
		{"the registry's own realm", homebound{}, false, "https://r.example/token", true, true},
		{"a realm elsewhere, with credentials", homebound{}, false, "https://auth.example/token", true, false},
		{"a realm elsewhere, with credentials in the body", homebound{}, false, "https://auth.example/token", false, false},
		{"a realm below the registry", homebound{}, false, "https://auth.r.example/token", true, false},
		{"a realm at another port", homebound{}, false, "https://r.example:8443/token", true, false},
		{"a realm at the port that https has anyway", homebound{}, false, "https://r.example:443/token", true, false},
		{"a realm over plain http", homebound{}, false, "http://r.example/token", true, false},
		{"content elsewhere, without credentials", homebound{}, true, "https://blobs.example/1", false, true},
		{"content elsewhere, with credentials", homebound{}, true, "https://blobs.example/1", true, false},
		{"content over plain http", homebound{}, true, "http://r.example/v2/", false, false},
		{"credentials that a user wrote go to the realm that their registry names", struct{}{}, false, "https://auth.example/token", true, true},
		{"no credentials", nil, false, "https://auth.example/token", false, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := NewSession(status(http.StatusOK), Guard{}).Home("r.example", tt.credentials)
			if tt.begun {
				s.Begin()
			}
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, tt.url, nil)
			if err != nil {
				t.Fatal(err)
			}
			if tt.authorized {
				req.Header.Set("Authorization", "Bearer s3cret")
			}
			resp, err := s.RoundTrip(req)
			if err == nil {
				_ = resp.Body.Close()
			}
			if got := err == nil; got != tt.want || err != nil && !errors.Is(err, ForbiddenHost) {
				t.Errorf("got error %v, want the request to be allowed: %t", err, tt.want)
			}
		})
	}
}

// TestWithoutCredentials: what a keychain says may hold what it keeps; a refusal of ours does not.
func TestWithoutCredentials(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		err  error
		want string
	}{
		{"of a helper", errors.New("s3cret"), "unauthorized: registry r: got no credentials from the keychain"},
		{"of ours", Refuse(Timeout, "credentials of ECR: got no answer in time"), "timeout: registry r: credentials of ECR: got no answer in time"},
	} {
		if got := WithoutCredentials("registry r", tt.err).Error(); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}
