package config

import "time"

// authTable has who may publish and watch.
var authTable = []setting{
	{key: "auth.publish", def: "loopback", changes: atOnce, help: "who may publish: policies, or PATTERN = POLICIES; ...",
		bind: func(c *Config) value { return rules(&c.Auth.Publish) }},
	{key: "auth.watch", def: "open", changes: atOnce, help: "who may watch, likewise, without keys",
		bind: func(c *Config) value { return rules(&c.Auth.Watch, PolicyKeys) }},

	{key: "auth.key", def: "", changes: atOnce, help: "key that allows publishing every stream", secret: true,
		bind: func(c *Config) value { return text(&c.Auth.Key, "secret") }},
	{key: "auth.keys_file", def: "", changes: atOnce, help: "file with lines of STREAM KEY, which others cannot read",
		bind: func(c *Config) value { return text(&c.Auth.KeysFile, "file") }},

	{key: "auth.secret", def: "", changes: atOnce, help: "secret that signs URLs, at least 16 characters", secret: true,
		bind: func(c *Config) value { return text(&c.Auth.Secret, "secret") }},
	{key: "auth.secret_file", def: "", changes: atOnce, help: "file with such secrets, the first of which signs",
		bind: func(c *Config) value { return text(&c.Auth.SecretFile, "file") }},

	{key: "auth.jwt_secret", def: "", changes: atOnce, help: "secret of JSON Web Tokens with HS256, at least 16 characters", secret: true,
		bind: func(c *Config) value { return text(&c.Auth.JWTSecret, "secret") }},
	{key: "auth.jwt_secret_file", def: "", changes: atOnce, help: "file with such secrets",
		bind: func(c *Config) value { return text(&c.Auth.JWTSecretFile, "file") }},
	{key: "auth.jwt_keys_file", def: "", changes: atOnce, help: "PEM file with public keys of JSON Web Tokens: RS256, ES256, EdDSA",
		bind: func(c *Config) value { return text(&c.Auth.JWTKeysFile, "file") }},
	{key: "auth.jwks_url", def: "", changes: atOnce, help: "URL of a JWKS with such keys", secret: true,
		bind: func(c *Config) value { return webAddress(&c.Auth.JWKSURL) }},
	{key: "auth.jwks_refresh", def: "10m", changes: atOnce, help: "how often that URL is fetched",
		bind: func(c *Config) value { return duration(&c.Auth.JWKSRefresh, 10*time.Second, 24*time.Hour) }},
	{key: "auth.jwt_issuer", def: "", changes: atOnce, help: "what tokens must have as iss",
		bind: func(c *Config) value { return text(&c.Auth.JWTIssuer, "text") }},
	{key: "auth.jwt_audience", def: "", changes: atOnce, help: "what tokens must have in aud",
		bind: func(c *Config) value { return text(&c.Auth.JWTAudience, "text") }},

	{key: "auth.callback_url", def: "", changes: atOnce, help: "URL that is asked who may publish or watch", secret: true,
		bind: func(c *Config) value { return webAddress(&c.Auth.CallbackURL) }},
	{key: "auth.callback_timeout", def: "2s", changes: atOnce, help: "longest wait for its answer, which is tried twice",
		bind: func(c *Config) value {
			return duration(&c.Auth.CallbackTimeout, 50*time.Millisecond, 30*time.Second)
		}},
	{key: "auth.callback_on_failure", def: "deny", changes: atOnce, help: "what holds when it does not answer",
		bind: func(c *Config) value { return choice(&c.Auth.CallbackOnFailure, FailureDeny, FailureAllow) }},

	{key: "auth.hls_token", def: "query", changes: atOnce, help: "how tokens get to HLS segments: in the URIs' query, or in the path, /t/TOKEN/APP/NAME",
		bind: func(c *Config) value { return choice(&c.Auth.HLSToken, TokenQuery, TokenPath) }},
	{key: "auth.check_segments", def: "true", changes: atOnce, help: "HLS segments need the token, too, not only playlists",
		bind: func(c *Config) value { return boolean(&c.Auth.CheckSegments) }},
	{key: "auth.end_at_expiry", def: "true", changes: atOnce, help: "send publishers and viewers away when their permission expires",
		bind: func(c *Config) value { return boolean(&c.Auth.EndAtExpiry) }},
	{key: "auth.end_on_removal", def: "true", changes: atOnce, help: "send publishers and viewers away when the key or secret that let them in goes from its file, or from the JWKS",
		bind: func(c *Config) value { return boolean(&c.Auth.EndOnRemoval) }},
}
