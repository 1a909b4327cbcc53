//go:build !nocloud

package cloud

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	azure "github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/assay-dev/assay/builtins/oci/edge"
)

// registryAudience is a token that registries of the cloud take, and nothing else: not the management of a
// subscription, for which tokens are exchanged as well.
const registryAudience = "https://containerregistry.azure.net/.default"

// acr has the registry exchange a token of Entra ID for one of its own.
// https://github.com/Azure/acr/blob/main/docs/AAD-OAuth.md
func (o Options) acr(ctx context.Context, h host) (token, error) {
	identity, err := o.azure(h)
	if err != nil {
		return token{}, err
	}
	got, err := identity.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{registryAudience}})
	if err != nil {
		return token{}, azureAnswer(err)
	}
	return o.exchange(ctx, h, got.Token)
}

// azure is who we are: the federated identity of the Pod, a secret or certificate in the environment, or the managed
// identity of the node. The first that is configured counts; no other is tried instead.
func (o Options) azure(h host) (azcore.TokenCredential, error) {
	var client azcore.ClientOptions
	if through := o.client(); through != nil {
		client.Transport = through
	}
	switch { // AZURE_AUTHORITY_HOST says it for the others
	case strings.HasSuffix(h.name, ".azurecr.cn"):
		client.Cloud = azure.AzureChina
	case strings.HasSuffix(h.name, ".azurecr.us"):
		client.Cloud = azure.AzureGovernment
	}
	switch {
	case os.Getenv("AZURE_FEDERATED_TOKEN_FILE") != "":
		return azidentity.NewWorkloadIdentityCredential(&azidentity.WorkloadIdentityCredentialOptions{ClientOptions: client})
	case os.Getenv("AZURE_CLIENT_SECRET") != "", os.Getenv("AZURE_CLIENT_CERTIFICATE_PATH") != "":
		return azidentity.NewEnvironmentCredential(&azidentity.EnvironmentCredentialOptions{ClientOptions: client})
	}
	managed := &azidentity.ManagedIdentityCredentialOptions{ClientOptions: client}
	if id := os.Getenv("AZURE_CLIENT_ID"); id != "" {
		managed.ID = azidentity.ClientID(id)
	}
	return azidentity.NewManagedIdentityCredential(managed)
}

func azureAnswer(err error) error {
	out := &answered{err: err}
	var (
		refused  *azcore.ResponseError
		identity *azidentity.AuthenticationFailedError
	)
	switch {
	case errors.As(err, &refused):
		out.status, out.reason = refused.StatusCode, refused.ErrorCode
	case errors.As(err, &identity) && identity.RawResponse != nil:
		out.status = identity.RawResponse.StatusCode
	}
	return out
}

// exchange shows the token to the registry itself, which the installation has listed: over the registry edge, and
// along no redirect.
func (o Options) exchange(ctx context.Context, h host, access string) (token, error) {
	form := url.Values{"grant_type": {"access_token"}, "service": {h.name}, "access_token": {access}}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+h.name+"/oauth2/exchange", strings.NewReader(form.Encode()))
	if err != nil {
		return token{}, err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	client := &http.Client{
		Transport:     edge.NewSession(o.Registry(h.name), edge.Guard{}).Home(h.name, bound{}),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Do(request)
	if err != nil {
		return token{}, err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return token{}, &answered{status: response.StatusCode, err: edge.Status(response.StatusCode)}
	}
	var body struct {
		Refresh string `json:"refresh_token"`
	}
	if err := json.NewDecoder(response.Body).Decode(&body); err != nil || body.Refresh == "" {
		if own := (*edge.Error)(nil); errors.As(err, &own) { // the session bounds the body
			return token{}, own
		}
		return token{}, errNoToken // the error of the decoder would quote it
	}
	out := token{auth: authn.AuthConfig{IdentityToken: body.Refresh}}
	// Whoever made it is who takes it, so its signature is not ours to check. One that does not say when it expires
	// serves for one session.
	var claims jwt.RegisteredClaims
	if _, _, err := jwt.NewParser().ParseUnverified(body.Refresh, &claims); err == nil && claims.ExpiresAt != nil {
		out.expires = claims.ExpiresAt.Time
	}
	return out, nil
}
