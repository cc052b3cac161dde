"""Computes the expected numbers of features.test.ts: python test/waveforms/waveform-golden.py (numpy, scipy)."""

import json

import numpy as np
from scipy import signal, stats

RATE = 8192


def wave(count):
    noise = np.empty(count)
    state = 1
    for n in range(count):
        state = state * 16807 % 2147483647
        noise[n] = state / 2147483647 - 0.5
    t = np.arange(count) / RATE
    tones = 3 * np.sin(2 * np.pi * 50 * t) + 0.5 * np.sin(2 * np.pi * 120 * t + 0.3)
    bearing = 0.6 * (1 + 0.8 * np.cos(2 * np.pi * 87 * t)) * np.sin(2 * np.pi * 1500 * t)
    return 1 + tones + bearing + 0.2 * noise


def features(count):
    x = wave(count)
    y = x - x.mean()
    size = 2 ** int(np.ceil(np.log2(count)))
    f, density = signal.periodogram(x, RATE, window="hann", nfft=size, detrend="constant", scaling="density")
    power = density * RATE / size
    band = lambda low, high: float(np.sqrt(power[(f >= low) & (f <= high)].sum()))
    inside = (f >= 10) & (f <= 1000)
    velocity = 1000 * np.sqrt((power[inside] / (2 * np.pi * f[inside]) ** 2).sum())
    # Analytic signal of the band: scipy.signal.hilbert of the part from 1000 to 2000 Hz.
    spectrum = np.fft.fft(y, size)
    frequency = np.abs(np.fft.fftfreq(size, 1 / RATE))
    part = np.fft.ifft(np.where((frequency >= 1000) & (frequency <= 2000), spectrum, 0)).real
    envelope = np.abs(signal.hilbert(part))[:count]
    f2, squares = signal.periodogram(envelope, RATE, window="hann", nfft=size, detrend="constant", scaling="spectrum")
    amplitudes = np.sqrt(2 * squares)
    largest = int(np.argmax(amplitudes))
    return {
        "rms": float(y.std()),
        "peak": float(np.abs(y).max()),
        "crest": float(np.abs(y).max() / y.std()),
        "kurtosis": float(stats.kurtosis(x, fisher=False)),
        "low": band(40, 60),
        "shaft": band(0.9 * 60, 2.1 * 60),
        "velocity": float(velocity),
        "frequency": float(f2[largest]),
        "amplitude": float(amplitudes[largest]),
    }


print(json.dumps({count: features(count) for count in (4096, 5000)}, indent=2))
