-- What wrk asks for, by three numbers: fields of the head, bytes of the body, rows to choose from. And what it has to say.

function init(args)
    local fields, bytes, rows = tonumber(args[1]), tonumber(args[2]), tonumber(args[3])
    for number = 1, fields do
        wrk.headers[string.format("X-Header-%02d", number)] = "sixteen letters."
    end
    if bytes > 0 then
        wrk.method = "POST"
        wrk.body = string.rep("x", bytes)
    end
    if rows > 0 then
        -- Written beforehand, so that choosing costs next to nothing.
        local requests, last = {}, 0
        for number = 1, 1000 do
            requests[number] = wrk.format(nil, wrk.path .. "?id=" .. (number * 7919 % rows + 1))
        end
        request = function()
            last = last % #requests + 1
            return requests[last]
        end
    end
end

function done(summary, latency)
    local errors = summary.errors
    local socket = errors.connect + errors.read + errors.write + errors.timeout
    io.write(string.format("figures %d %d %d %d %d %d %d\n", summary.requests, summary.duration,
        latency.mean, latency:percentile(50), latency:percentile(99), errors.status, socket))
end
