# Varnish in front of Headwater. Change the lines marked "site", and start varnishd with
#
#     -p http_gzip_support=off
#
# so that both encodings of a playlist pass as the origin made them, with their own strong ETags.
# docs/cdn.md says why each setting is as it is; the project's tests run this file.
vcl 4.1;

import std;

backend headwater {
    .host = "127.0.0.1"; # site: the origin
    .port = "8080"; # site
    .connect_timeout = 2s;
    .first_byte_timeout = 15s; # longer than flv.wait
    .between_bytes_timeout = 10s;
    # The public port has no page of its own: who answers 404 is alive.
    .probe = {
        .url = "/";
        .expected_response = 404;
        .interval = 1s;
        .timeout = 1s;
        .window = 3;
        .threshold = 1;
        .initial = 1;
    }
}

sub vcl_recv {
    # A live stream does not end: nothing is kept. Segments are .ts as well, with names like 17-0a1b2c3d.ts.
    if (req.url ~ "^[^?]*\.(flv|ts)(\?|$)" && req.url !~ "^[^?]*/[0-9a-f]+/[0-9]+-[0-9a-f]+\.ts(\?|$)") {
        return (pipe);
    }
    if (req.method != "GET" && req.method != "HEAD") {
        return (pass);
    }
    # Neither query strings nor cookies mean anything to the origin.
    set req.url = regsub(req.url, "\?.*$", "");
    unset req.http.Cookie;
    unset req.http.Authorization;
    # Two encodings, not one for each browser's spelling.
    if (req.url !~ "\.ts$" && req.http.Accept-Encoding ~ "(?i)\bgzip\b" && req.http.Accept-Encoding !~ "(?i)\bgzip\s*;\s*q=0(\.0*)?\s*(,|$)") {
        set req.http.Accept-Encoding = "gzip";
    } else {
        unset req.http.Accept-Encoding;
    }
    # As long as the origin is well, a playlist may be served for half a target duration after its
    # time, while the next is fetched. When it is away, for as long as beresp.grace says.
    if (req.restarts == 0 && std.healthy(req.backend_hint)) {
        set req.grace = 1s; # site: half the target duration
    } else {
        set req.grace = 10m;
    }
    return (hash);
}

sub vcl_hash {
    hash_data(req.url); # whatever name the viewers call this cache by
    return (lookup);
}

sub vcl_pipe {
    # One request per connection, lest the next be piped unseen.
    set bereq.http.Connection = "close";
    if (req.http.Upgrade) {
        set bereq.http.Connection = "upgrade";
        set bereq.http.Upgrade = req.http.Upgrade;
    }
}

sub vcl_backend_response {
    if (beresp.status >= 500) {
        return (abandon); # what is kept stays
    }
    if (beresp.status == 200) {
        set beresp.grace = 1m; # stale while the origin is away
        set beresp.keep = 1m; # an unchanged playlist costs a 304
    } else {
        set beresp.grace = 0s; # what was missing may be there now
        set beresp.keep = 0s;
    }
    if (bereq.url ~ "\.ts$" && beresp.ttl > 10m) {
        set beresp.ttl = 10m; # long after it has left the playlist
    }
}

sub vcl_backend_error {
    return (abandon);
}

sub vcl_synth {
    if (resp.status == 503 && req.restarts == 0 && (req.method == "GET" || req.method == "HEAD")) {
        return (restart); # once more, with what is stale
    }
    set resp.http.Access-Control-Allow-Origin = "*";
    set resp.http.Cache-Control = "no-store";
}

sub vcl_deliver {
    unset resp.http.X-Varnish; # another for each request
    if (obj.hits > 0) {
        set resp.http.X-Cache = "HIT";
    } else {
        set resp.http.X-Cache = "MISS";
    }
}
