//go:build !nocloud

package cloud

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	transport "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecrpublic"
	"github.com/aws/smithy-go"
	"github.com/google/go-containerregistry/pkg/authn"
)

// ecr asks the endpoint of the host's region. The token is for all registries there that the role may read, whatever
// account the host names.
func (o Options) ecr(ctx context.Context, h host) (token, error) {
	settings, err := o.aws(ctx, h.region)
	if err != nil {
		return token{}, err
	}
	client := ecr.NewFromConfig(settings, func(to *ecr.Options) {
		to.Region = h.region
		if h.fips {
			to.EndpointOptions.UseFIPSEndpoint = aws.FIPSEndpointStateEnabled
		}
	})
	out, err := client.GetAuthorizationToken(ctx, &ecr.GetAuthorizationTokenInput{})
	if err != nil {
		return token{}, awsAnswer(err)
	}
	if len(out.AuthorizationData) == 0 {
		return token{}, errNoToken
	}
	return awsToken(out.AuthorizationData[0].AuthorizationToken, out.AuthorizationData[0].ExpiresAt)
}

func (o Options) ecrPublic(ctx context.Context, h host) (token, error) {
	settings, err := o.aws(ctx, h.region)
	if err != nil {
		return token{}, err
	}
	client := ecrpublic.NewFromConfig(settings, func(to *ecrpublic.Options) { to.Region = h.region })
	out, err := client.GetAuthorizationToken(ctx, &ecrpublic.GetAuthorizationTokenInput{})
	if err != nil {
		return token{}, awsAnswer(err)
	}
	if out.AuthorizationData == nil {
		return token{}, errNoToken
	}
	return awsToken(out.AuthorizationData.AuthorizationToken, out.AuthorizationData.ExpiresAt)
}

// aws is what the environment says of who we are. It is read for each token, so that a role which changes is followed.
// The host's region stands in where the environment has none for STS.
func (o Options) aws(ctx context.Context, region string) (aws.Config, error) {
	with := []func(*config.LoadOptions) error{config.WithDefaultRegion(region)}
	if client := o.client(); client != nil {
		with = append(with, config.WithHTTPClient(client))
	}
	return config.LoadDefaultConfig(ctx, with...)
}

// awsToken reads user and password, which are in one text.
func awsToken(text *string, expires *time.Time) (token, error) {
	decoded, err := base64.StdEncoding.DecodeString(aws.ToString(text))
	user, password, found := strings.Cut(string(decoded), ":")
	if err != nil || !found || user == "" || password == "" {
		return token{}, errNoToken // the error would quote it
	}
	return token{auth: authn.AuthConfig{Username: user, Password: password}, expires: aws.ToTime(expires)}, nil
}

func awsAnswer(err error) error {
	out := &answered{err: err}
	if response := (*transport.ResponseError)(nil); errors.As(err, &response) {
		out.status = response.HTTPStatusCode()
	}
	if named := smithy.APIError(nil); errors.As(err, &named) {
		out.reason = named.ErrorCode()
	}
	return out
}
