#!/usr/bin/env python3
"""Records how BuildKit reads a collection of Dockerfiles, for the test `recorded.rs`: its own parser does, all but those in APART.

The package `dockerfile` of PyPI brings that parser: python3 -m venv V && V/bin/pip install dockerfile==3.4.0, then
V/bin/python record.py > recorded.json. It is of BuildKit 0.12. What later ones read besides is written by hand, in APART:
here-documents whose names stand apart, since 0.22 (moby/buildkit#5817).
"""

import json
import random
import sys

import dockerfile

# As people write them, one or more of them in each Dockerfile.
LINES = [
    'RUN apt-get update \\\n    && apt-get install -y curl \\\n    && rm -rf /var/lib/apt/lists/*',
    'RUN set -eux; \\\n  # why this is here\n  echo one; \\\n\n  echo two',
    'RUN ["sh", "-c", "echo $HOME"]',
    'run   echo lower   case  ',
    'RUN echo "a # b" # c',
    'RUN [ -f /x ] && echo y',
    'RUN ["not json]',
    'RUN echo \\\\\nUSER after',
    'RUN echo a \\ \n  b',
    'RUN --mount=type=cache,target=/root/.cache --network=none pip install x',
    'RUN --mount=type=bind,source=a,target="/b c" cat',
    'RUN --mount=type=bind make',
    'RUN --mount=type=bind,from=,source=x,target=/y --mount=type=ssh make',
    'RUN --mount=type=cache,from=base,source=/x,target=/y make',
    'RUN <<EOF\necho 1\n  echo 2\nEOF',
    'RUN <<-EOF cat > /x\n\ttab $X\n\tEOF',
    'RUN <<"END" cat\n$X \\ y\nEND',
    'RUN cat <<one <<two > /x\n1\none\n2\n\n3\ntwo',
    'RUN echo $((1<<2))',
    'RUN cat <<<word',
    'RUN python3 3<<X\nprint("# no comment")\n# nor this\nX',
    'COPY <<a <<"b" /to/\n$X \\$Y\na\n$Z\nb',
    'COPY a.txt <<c /to/\nc text\nc',
    'COPY --chown=u:g --chmod=755 a b /to/',
    'COPY --from=base /x /y',
    'COPY ["a b", "c", "/to/"]',
    'COPY . .',
    'ADD https://a.example/x.tar.gz /x/',
    'ADD --checksum=sha256:00 https://a.example/x /x',
    'ENV A=1 B="two words" C=three\\ words D=\'x y\'',
    'ENV PATH=/x:$PATH',
    'ENV OLD style  of values',
    'ENV A=1 \\\n    B=2 \\\n    # between\n    C=3',
    'LABEL org.example.title="A title" \\\n      org.example.note=\'it is "so"\'',
    'LABEL one two three',
    'LABEL "quoted key"=value',
    'ARG VERSION=1.2',
    'ARG ${NAME} $OTHER=x',
    'FROM b AS base',
    'ARG A B=2 C="x y"',
    'WORKDIR /srv/app',
    'WORKDIR $DIR/with space',
    'USER 1000:1000',
    'USER app',
    'EXPOSE 80 443/tcp 53/udp',
    'EXPOSE ${PORT}',
    'VOLUME /data /logs',
    'VOLUME ["/a b", "/c"]',
    'CMD ["node", "server.js"]',
    'CMD node server.js --port 80',
    "CMD ['single', 'quotes']",
    'CMD [ "spaces" , "inside" ]',
    'ENTRYPOINT ["/entry.sh"]',
    'ENTRYPOINT exec top -b',
    'HEALTHCHECK NONE',
    'HEALTHCHECK --interval=5s --timeout=3s CMD curl -f http://localhost/',
    'STOPSIGNAL SIGTERM',
    'SHELL ["/bin/bash", "-o", "pipefail", "-c"]',
    'MAINTAINER Some Body <some@example.org>',
    'ONBUILD RUN make',
    'ONBUILD COPY . /src',
    '# a comment',
    '   # an indented comment',
    '',
    '\tRUN echo indented',
    # what can't be read
    'RUN cat <<EOF\nnever ends',
    'ENV A=1 b',
    'LABEL a',
]
WINDOWS = ['RUN dir `\n  c:\\', 'ENV A=x` y', 'RUN echo \\', 'ENV P=c:\\d']
HEADS = [
    '',
    '# syntax=docker/dockerfile:1\n',
    '# syntax=mirror.example:5000/docker/dockerfile:1.4\n',
    '# syntax=docker/dockerfile-upstream:master\n',
    '# escape=\\\n',
    '#syntax = docker/dockerfile:1.4\n# escape=\\\n\n',
    '\ufeff',
    '# just a comment\n',
]
BEGINS = [
    'FROM a',
    'from a as base',
    'FROM --platform=linux/amd64 a:1 AS base',
    'FROM a@sha256:00',
    'ARG BASE=a\nFROM $BASE AS base',
]
# Flags of ADD and COPY, each in a Dockerfile of its own.
FLAGS = [
    'COPY --link a b /x/',
    'COPY --link=false --from=base a /x',
    'COPY --link ["a b", "/x/"]',
    'COPY --link --chmod=644 <<a <<"b" /x/\n$1\na\n$2\nb',
    'COPY --parents ./a/*/b /x/',
    'COPY --parents a/./b/c.txt d /x/',
    'COPY --parents --link --chown=1:2 a \\\n  b \\\n  /x/',
    'COPY --exclude=*.md --exclude=*.txt . /x/',
    'ADD --link https://a.example/x /x',
    'ADD --link --chown=u:g a.tar.gz b /x/',
    'ONBUILD COPY --link --parents a b /x/',
]
# The rest of a RUN whose here-document EOF has its name apart, and what is in it.
APART = [
    ('cat << EOF > /hello.txt', 'hello\n'),
    ('cat <<       EOF      > /tmp/file', '  stuff\n  more stuff\n'),
    ('<<  EOF', ''),
    ('<<  EOF  > foo', ''),
    ('<< EOF', 'echo $X\n# no comment\nUSER x\n'),
]
COUNT = 180

chance = random.Random(11)


def mixed():
    """Several pieces in one Dockerfile, with line ends of either kind."""
    is_windows = chance.random() < 0.12
    head = '# escape=`\n' if is_windows else chance.choice(HEADS)
    pieces = [chance.choice(WINDOWS if is_windows else LINES) for _ in range(chance.randint(1, 5))]
    stages = ['FROM b AS other'] if chance.random() < 0.1 else []
    text = head + '\n'.join([chance.choice(BEGINS), *pieces, *stages]) + chance.choice(['\n', '', '\n\n'])
    return text.replace('\n', '\r\n') if chance.random() < 0.08 else text


def recorded(text):
    """Line, instruction, whether it is a JSON list, its words, and its here-documents; None for what can't be read."""
    try:
        commands = dockerfile.parse_string(text)
    except dockerfile.GoParseError:
        return None
    told = []
    for command in commands:
        words = list(command.value)
        if command.cmd.upper() == 'ONBUILD':
            words = [command.original.split(None, 1)[1]]
        if command.cmd.upper() == 'HEALTHCHECK':
            words = [' '.join([*command.flags, *words])]
        documents = [[document.name, document.content] for document in command.heredocs]
        told.append([command.start_line, command.cmd.upper(), command.json, words, documents])
    return told


texts = ['FROM a\n' + line + '\n' for line in LINES]
texts += ['# escape=`\nFROM a\n' + line + '\n' for line in WINDOWS]
while len(texts) < COUNT:
    texts.append(mixed())
texts += ['FROM a\n' + line + '\nUSER x\n' for line in FLAGS]
readings = {text: recorded(text) for text in texts}
for line, content in APART:
    user = [4 + content.count('\n'), 'USER', False, ['x'], []]
    documents = [['EOF', content]]
    reading = [[1, 'FROM', False, ['a'], []], [2, 'RUN', False, [line], documents], user]
    readings['FROM a\nRUN ' + line + '\n' + content + 'EOF\nUSER x\n'] = reading
entries = [json.dumps({'text': text, 'read': read}, ensure_ascii=False) for text, read in readings.items()]
sys.stdout.write('[\n' + ',\n'.join(entries) + '\n]\n')
